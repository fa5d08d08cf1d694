// examples/own/hash.mjs: a checksum of one's own. npx pagefold hash --checksum ./hash.mjs
let words // the page is the same array in every call, so a view of it may be kept

export default {
  name: 'multiply-xor',
  bits: 32,
  keyed: true,
  hash(page, seed) {
    words ??= new Uint32Array(page.buffer)
    let hash = Number(seed & 0xffff_ffffn)
    for (let i = 0; i < 1024; i++) hash = Math.imul(hash ^ words[i] ^ (hash >>> 15), 0x9e37_79b1)
    return hash >>> 0
  },
}
