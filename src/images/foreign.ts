// Files that people have and that are no memory as it can be read here: by what one tells them, and what to do instead. Taken
// for raw memory each would give a number that looks right. A magic is long enough, or stands where no guest has it, that no
// real guest's memory is among them.

/** A kind of file that is known and not read. */
export interface Foreign {
  /** What it begins with, a character a byte. */
  readonly magic: string
  /** Where that stands, in bytes; from the end if negative. Default: 0. */
  readonly at?: number
  /** What it is, and what to do instead. */
  readonly advice: string
}

const DISK = 'a disk, not memory'
const OF_GUEST = 'take the memory of the running guest with `virsh dump --memory-only`'
const VMWARE = "VMware's saved state; take the .vmem file beside it"
const PIPE = (tool: string): string => `unpack it on the way: \`${tool} FILE | pagefold scan -\``

export const FOREIGN: readonly Foreign[] = [
  // Guests saved to be resumed.
  {
    magic: 'QEVM',
    advice: 'a QEMU migration stream; take `dump-guest-memory` or `pmemsave` in the monitor instead',
  },
  { magic: 'LibvirtQemudSave', advice: `a guest saved by libvirt; restore it and ${OF_GUEST}` },
  { magic: 'LibvirtQemudPart', advice: `a guest saved by libvirt, and not to its end; ${OF_GUEST}` },
  { magic: 'libvirt-xml\n', advice: 'a guest saved by libvirt on Xen, which is not read' },
  { magic: 'Xen saved domain', advice: "a guest saved by Xen's `xl save`, which is not read" },
  { magic: 'LinuxGuestRecord', advice: "a guest saved by Xen's old tools, which is not read" },
  { magic: '\xff\xff\xff\xff\xff\xff\xff\xffXENF', advice: 'a Xen migration stream, which is not read' },
  { magic: '\xd0\xbe\xd2\xbe', advice: VMWARE },
  { magic: '\xd1\xba\xd1\xba', advice: VMWARE },
  { magic: '\xd2\xbe\xd2\xbe', advice: VMWARE },
  { magic: '\xd3\xbe\xd2\xbe', advice: VMWARE },
  { magic: '\xd3\xbe\xd3\xbe', advice: VMWARE },
  {
    magic: '\x7fVirtualBox SavedState',
    advice:
      'a state saved by VirtualBox; take `VBoxManage debugvm NAME dumpvmcore --filename FILE` of the running guest',
  },
  { magic: '\x14\x20\x28\x01', advice: "Hyper-V's saved state (.vmrs), which is not read" },
  { magic: '\x76\x86\x76\x86', advice: 'a state of v86, which is not read; save its memory as it is' },
  { magic: 'HPAK', advice: 'an HPAK dump, which is not read; `hpakextract` of Volatility makes it raw' },
  // Crash dumps of other systems, or of other tools.
  {
    magic: 'PAGEDU64',
    advice: 'a Windows crash dump, which is not read; Volatility makes it raw (`layerwriter.LayerWriter`)',
  },
  {
    magic: 'PAGEDUMP',
    advice:
      'a 32-bit Windows crash dump, which is not read; Volatility makes it raw (`layerwriter.LayerWriter`)',
  },
  { magic: 'MDMP', advice: 'a minidump of a process, which is not read' },
  { magic: 'hibr', advice: 'a Windows hibernation file, which is not read; Volatility makes it raw' },
  { magic: 'HIBR', advice: 'a Windows hibernation file, which is not read; Volatility makes it raw' },
  { magic: 'DISKDUMP', advice: 'a diskdump of an old kernel, which is not read' },
  { magic: '\xed\x23\x8f\x61\x73\x01\x19\xa8', advice: 'an LKCD dump of an old kernel, which is not read' },
  {
    magic: '\xa8\x19\x01\x73\x61\x8f\x23\xfd',
    advice: 'an s390 dump, which is not read; `zgetdump -f elf` converts it',
  },
  { magic: 'EVF\x09\x0d\x0a\xff\x00', advice: 'an EnCase image; `ewfexport` makes it raw' },
  {
    magic: 'JAVA PROFILE',
    advice: 'a Java heap dump, which holds objects and no pages; take a core of the process',
  },
  { magic: '\xfe\xed\xfa\xce', advice: 'a Mach-O file or core, which is not read' },
  { magic: '\xce\xfa\xed\xfe', advice: 'a Mach-O file or core, which is not read' },
  { magic: '\xfe\xed\xfa\xcf', advice: 'a Mach-O file or core, which is not read' },
  { magic: '\xcf\xfa\xed\xfe', advice: 'a Mach-O file or core, which is not read' },
  { magic: '\xca\xfe\xba\xbe', advice: 'a Mach-O file for several machines, or a Java class' },
  // Memory that somebody put away.
  { magic: 'SWAPSPACE2', at: 4086, advice: 'a swap area, not memory' },
  { magic: 'SWAP-SPACE', at: 4086, advice: 'a swap area, not memory' },
  { magic: 'S1SUSPEND', at: 4086, advice: 'a swap area with a hibernated system in it, which is not read' },
  // Disks.
  { magic: 'QFI\xfb', advice: `a qcow2 image: ${DISK}` },
  { magic: 'QED\0', advice: `a QED image: ${DISK}` },
  { magic: 'KDMV', advice: `a VMDK image: ${DISK}` },
  { magic: 'COWD', advice: `a VMDK image: ${DISK}` },
  { magic: '# Disk DescriptorFile', advice: `a VMDK description: ${DISK}` },
  { magic: '\x7f\x10\xda\xbe', at: 64, advice: `a VDI image: ${DISK}` },
  { magic: 'vhdxfile', advice: `a VHDX image: ${DISK}` },
  { magic: 'conectix', advice: `a VHD image: ${DISK}` },
  { magic: 'conectix', at: -512, advice: `a VHD image: ${DISK}` },
  { magic: 'WithoutFreeSpace', advice: `a Parallels image: ${DISK}` },
  { magic: 'WithouFreSpacExt', advice: `a Parallels image: ${DISK}` },
  { magic: 'Bochs Virtual HD Image', advice: `a Bochs image: ${DISK}` },
  { magic: 'LUKS\xba\xbe', advice: `an encrypted disk: ${DISK}` },
  { magic: 'EFI PART', at: 512, advice: `partitions: ${DISK}` },
  { magic: 'koly', at: -512, advice: `an Apple disk image: ${DISK}` },
  { magic: 'hsqs', advice: `a squashfs: ${DISK}` },
  { magic: '-rom1fs-', advice: `a romfs: ${DISK}` },
  // Packed. What is not among formats.ts has to be unpacked by somebody else.
  { magic: '\xfd7zXZ\0', advice: `xz-compressed; ${PIPE('xz -dc')}` },
  { magic: 'BZh', advice: `bzip2-compressed; ${PIPE('bzip2 -dc')}` },
  { magic: '\x02\x21\x4c\x18', advice: `compressed by an old lz4; ${PIPE('lz4 -dc')}` },
  { magic: '\x89LZO\0\r\n\x1a\n', advice: `lzop-compressed; ${PIPE('lzop -dc')}` },
  { magic: 'LZIP', advice: `lzip-compressed; ${PIPE('lzip -dc')}` },
  { magic: '\xff\x06\0\0sNaPpY', advice: `in Snappy's frames; ${PIPE('snzip -dc')}` },
  { magic: '7z\xbc\xaf\x27\x1c', advice: `a 7-Zip archive; ${PIPE('7z x -so')}` },
  { magic: 'PK\x03\x04', advice: `a zip archive; ${PIPE('unzip -p')}` },
  { magic: 'Rar!\x1a\x07', advice: `a rar archive; ${PIPE('unrar p -inul')}` },
  { magic: 'MSCF\0\0\0\0', advice: 'a cabinet archive; unpack it first' },
  { magic: 'ustar', at: 257, advice: `a tar archive; ${PIPE('tar -xOf')}` },
  { magic: '070701', advice: 'a cpio archive; unpack it first' },
  { magic: '!<arch>\n', advice: 'an archive or package; unpack it first' },
  { magic: '\xed\xab\xee\xdb', advice: 'an RPM package, not memory' },
  // What else is at hand where memory is looked for.
  { magic: 'SQLite format 3\0', advice: 'a database, not memory' },
  { magic: '%PDF-', advice: 'a document, not memory' },
  { magic: '\x89PNG\r\n\x1a\n', advice: 'a picture, not memory' },
  { magic: '\0asm\x01\0\0\0', advice: 'a wasm module, not memory' },
  { magic: '\xd4\xc3\xb2\xa1', advice: 'a network capture, not memory' },
  { magic: '\x0a\x0d\x0d\x0a', advice: 'a network capture, not memory' },
  { magic: '#!/', advice: 'a script, not memory' },
]
