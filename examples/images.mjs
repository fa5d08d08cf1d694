// examples/images.mjs: node examples/images.mjs FILE... opens dumps of memory, of any format there is, and merges them.
import { Host, PAGE_SIZE } from 'pagefold'
import { openSources } from 'pagefold/images'

const files = process.argv.slice(2)
const images = openSources(files.length > 0 ? files : ['synth:vm-homog-idle,pages=1000,images=2'])
const pages = images.reduce((sum, image) => sum + image.pages, 0)

const host = await Host.create({ frames: pages + 1 }) // one more: to part two pages takes a frame
for (const image of images) {
  console.log(`${image.source}: ${image.format}, ${image.pages} pages`)
  const { mm, address } = host.loadImage(image)
  mm.madvise(address, image.pages * PAGE_SIZE, 'MADV_MERGEABLE')
  image.close()
}

host.ksm.set('use_zero_pages', 1)
host.ksm.set('run', 1)
host.ksm.scan(2)
const { pages_sharing, ksm_zero_pages } = host.ksm.counters()
console.log(`${host.frames.free} of ${host.frames.total} frames are free:`)
console.log(`${pages_sharing} pages share the frame of another, ${ksm_zero_pages} the page of zeros`)
host.close()

// synth:vm-homog-idle,pages=1000,images=2,image=0: synth, 1000 pages
// synth:vm-homog-idle,pages=1000,images=2,image=1: synth, 1000 pages
// 951 of 2001 frames are free:
// 550 pages share the frame of another, 400 the page of zeros
