// How anon_vmas were counted before, as small models: 2008, one anon_vma for all vmas of a family, counted by vma and
// temporary holder; 2010, one for each process, with references from outside counted apart from the list of vmas. The
// tests run them beside pagefold's: what is freed, and when, must be the same.

/** 2008: one count, of vmas and holders alike. */
export class AnonVma2008 {
  refcount = 0
  freed = 0

  link(): void {
    this.refcount++
  }

  unlink(): void {
    this.put()
  }

  /** Takes a reference unless the last is gone already. */
  grab(): boolean {
    if (this.refcount === 0) return false
    this.refcount++
    return true
  }

  put(): void {
    if (--this.refcount === 0) this.freed++
  }
}

interface Member2010 {
  readonly name: string
  readonly root: Member2010
  /** Who may map its pages. */
  readonly processes: Set<string>
  /** Holders outside that list; of a root also one for each other member of the forest. */
  external: number
}

/** 2010: a family of processes with one range each. */
export class Forest2010 {
  readonly freed: string[] = []
  /** Oldest first, each process's own last. */
  private readonly chains = new Map<string, Member2010[]>()

  constructor(first: string) {
    const root = { name: first, processes: new Set([first]), external: 0 } as Omit<Member2010, 'root'>
    this.chains.set(first, [Object.assign(root, { root: root as Member2010 })])
  }

  of(process: string): Member2010 {
    return this.chains.get(process)!.at(-1)!
  }

  fork(parent: string, child: string): void {
    const inherited = this.chains.get(parent)!
    const { root } = inherited[0]!
    root.external++
    this.chains.set(child, [...inherited, { name: child, root, processes: new Set(), external: 0 }])
    for (const member of this.chains.get(child)!) member.processes.add(child)
  }

  exit(process: string): void {
    const emptied: Member2010[] = []
    for (const member of this.chains.get(process)!.toReversed()) {
      member.processes.delete(process)
      if (isUnused(member)) emptied.push(member)
    }
    for (const member of emptied) this.free(member)
  }

  hold(member: Member2010): void {
    member.external++
  }

  drop(member: Member2010): void {
    member.external--
    if (isUnused(member)) this.free(member)
  }

  private free(member: Member2010): void {
    this.freed.push(member.name)
    if (member.root !== member) this.drop(member.root)
  }
}

function isUnused(member: Member2010): boolean {
  return member.processes.size === 0 && member.external === 0
}
