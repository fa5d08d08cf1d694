// What a shared mapping shows: pages that belong to no mm. Linux: struct address_space of a shmem file

/** The pages behind shared mappings; lives as long as some vma maps it. Holds one reference on each page. */
export class SharedObject {
  users = 1
  /** Frames by page offset. */
  readonly pages = new Map<number, number>()
}
