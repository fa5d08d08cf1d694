// examples/v86/main.mjs: moments of a PC that runs in v86, kept in little more than the space of one, and gone on from. Needs the
// package v86, and no files beside it: the guest is a few bytes of machine code with four megabytes of data.
import { fileURLToPath } from 'node:url'
import { SnapshotStore } from 'pagefold/store'
import { V86 } from 'v86'

const MOMENTS = Number(process.argv[2] ?? 10)
const PAGE = 4096
const IMAGE = 0x10_0000 // where the guest is loaded,
const COUNT = 0x20_0000 // where it counts,
const DATA = 0x30_0000 // and where it writes to one page of 1024 after another

/** A kernel as Multiboot wants it: no BIOS is needed to start one. */
function guest() {
  const image = new Uint32Array((DATA - IMAGE + 1024 * PAGE) / 4)
  const magic = 0x1badb002
  const flags = 1 << 16 // the addresses are here
  const end = IMAGE + image.byteLength
  image.set([magic, flags, -(magic + flags), IMAGE, IMAGE, end, end, IMAGE + 32])
  const code = [
    // What a BIOS would do: v86 restores no state in which nobody has set these two addresses of its IDE controller.
    ...[0x10, 0x14].flatMap((register) => [
      [0x66, 0xba, 0xf8, 0x0c], //                  mov dx, 0xcf8
      [0xb8, register, 0xf0, 0x00, 0x80], //        mov eax, 0x8000f000 + register
      [0xef], //                                    out dx, eax
      [0x66, 0xba, 0xfc, 0x0c], //                  mov dx, 0xcfc
      [0x31, 0xc0], //                              xor eax, eax
      [0xef], //                                    out dx, eax
    ]),
    [0xff, 0x05, 0x00, 0x00, 0x20, 0x00], // again: inc dword [COUNT]
    [0xa1, 0x00, 0x00, 0x20, 0x00], //              mov eax, [COUNT]
    [0x89, 0xc3], //                                mov ebx, eax
    [0xc1, 0xeb, 0x10], //                          shr ebx, 16
    [0x81, 0xe3, 0xff, 0x03, 0x00, 0x00], //        and ebx, 1023
    [0xc1, 0xe3, 0x0c], //                          shl ebx, 12
    [0x89, 0x83, 0x00, 0x00, 0x30, 0x00], //        mov [DATA + ebx], eax
    [0xeb, 0xdf], //                                jmp again
  ].flat()
  new Uint8Array(image.buffer).set(code, 32)
  for (let word = (DATA - IMAGE) / 4; word < image.length; word++) image[word] = Math.imul(word, 0x9e3779b1)
  return image.buffer
}

async function boot() {
  const emulator = new V86({
    wasm_path: fileURLToPath(new URL('v86.wasm', import.meta.resolve('v86'))),
    memory_size: 32 * 2 ** 20,
    vga_memory_size: 2 ** 20,
    multiboot: { buffer: guest() },
    autostart: false,
    disable_speaker: true,
  })
  await new Promise((resolve) => emulator.add_listener('emulator-loaded', resolve))
  return emulator
}

/**
 * Where the pages of the guest begin in a state of v86: behind a header and a text that says where what is, and as long as the guest has
 * pages that are not zeros. What stands before is of any length, so equal pages would lie at other places of the pages of two states.
 */
function pagesIn(state) {
  const length = new Int32Array(state, 0, 4)[3]
  const { buffer_infos } = JSON.parse(new TextDecoder().decode(new Uint8Array(state, 16, length)))
  const largest = buffer_infos.reduce((one, other) => (other.length > one.length ? other : one))
  return ((16 + length + 3) & ~3) + largest.offset
}

/** So bytes are put in front, as many as it takes. */
async function save(store, name, emulator) {
  const state = await emulator.save_state()
  const front = PAGE - (pagesIn(state) % PAGE)
  const bytes = new Uint8Array(front + state.byteLength)
  bytes.set(new Uint8Array(state), front)
  return store.save(name, bytes, { note: JSON.stringify({ front }) })
}

async function restore(store, name, emulator) {
  const { bytes, note } = store.get(name)
  const state = new Uint8Array(bytes)
  await store.restore(name, state)
  await emulator.restore_state(state.buffer.slice(JSON.parse(note).front))
}

const word = (emulator, address) =>
  new DataView(emulator.read_memory(address, 4).slice().buffer).getUint32(0, true)
const counted = (emulator) => word(emulator, COUNT)

/** Has the guest count on. */
async function runOn(emulator) {
  const before = counted(emulator)
  await emulator.run()
  while (counted(emulator) < before + 10 * 2 ** 16) await new Promise((resolve) => setTimeout(resolve, 1))
  await emulator.stop()
}

/** Is everything in the guest's memory as it must be when it has counted so far? */
function isRight(emulator) {
  const count = counted(emulator)
  const page = count >>> 16
  for (let passed = 0; passed < page; passed++)
    if (word(emulator, DATA + passed * PAGE) !== passed * 2 ** 16 + 0xffff) return false
  return [count - 1, count].includes(word(emulator, DATA + page * PAGE))
}

const store = await SnapshotStore.open(process.argv[3])
const emulator = await boot()
const counts = []
for (let moment = 0; moment < MOMENTS; moment++) {
  await runOn(emulator)
  counts.push(counted(emulator))
  const { pages, added_pages } = await save(store, `moment-${moment}`, emulator)
  console.log(`moment ${moment}: ${pages} pages, ${added_pages} of them new`)
}
const { pages, distinct_pages, bytes_held } = store.stats()
const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
console.log(
  `${MOMENTS} states of ${mib(pages * PAGE)} in ${mib(bytes_held)}: ${distinct_pages} distinct pages`,
)

// Another machine goes on where the first one was in the middle.
const middle = MOMENTS >> 1
const other = await boot()
await restore(store, `moment-${middle}`, other)
const isBack = counted(other) === counts[middle] && isRight(other)
await runOn(other)
const goesOn = counted(other) > counts[middle] && isRight(other)
console.log(isBack && goesOn ? `moment ${middle} is back, and goes on` : `wrong: ${counted(other)}`)
await store.close()
await Promise.all([emulator.destroy(), other.destroy()])
