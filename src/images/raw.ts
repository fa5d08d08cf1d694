// Raw images: the guest's memory as it is, byte after byte from address 0. QEMU's pmemsave, Firecracker and
// cloud-hypervisor memory files, VMware's .vmem.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import type { ImageFile } from './file.ts'
import type { Contents } from './range.ts'

export function parseRaw(file: ImageFile): Contents {
  const ranges = [{ address: 0, memoryBytes: file.size, offset: 0, fileBytes: file.size }]
  const rest = file.size % PAGE_SIZE
  const notes =
    rest === 0
      ? []
      : [`${file.path}: the last page holds only ${rest} of ${PAGE_SIZE} bytes; the rest is taken as zeros`]
  return { ranges, notes }
}
