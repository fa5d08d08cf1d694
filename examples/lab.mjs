// examples/lab.mjs: how much of what could be saved does ksmd save, and what does it take under each strategy?
import { bestPossible, compareHashes, mergeImages, synthImages } from 'pagefold/lab'

const images = synthImages({ preset: 'vm-hetero', pages: 1000, images: 3, seed: 7 })
const { after_each_scan, bytes_saved } = await mergeImages({ images, knobs: { max_page_sharing: 16 } })
for (const { pages_shared, pages_sharing } of after_each_scan) console.log({ pages_shared, pages_sharing })
console.log(`saved ${bytes_saved} bytes, at best ${bestPossible(images).bytes_saved}`)

const { strategies } = await compareHashes({
  images,
  checksums: ['xxh3', 'sampled'],
  indexes: ['content', 'hash'],
  sampleWords: 64,
  pages: 256,
  rounds: 1,
})
for (const { checksum, index, pages_merged, comparisons, failed_comparisons } of strategies) {
  console.log(`${checksum} by ${index}: ${pages_merged} merged,`, { comparisons, failed_comparisons })
}

// { pages_shared: 0, pages_sharing: 0 }
// { pages_shared: 227, pages_sharing: 673 }
// { pages_shared: 227, pages_sharing: 673 }
// saved 2756608 bytes, at best 2830336
// xxh3 by content: 690 merged, { comparisons: 44498, failed_comparisons: 43115 }
// xxh3 by hash: 690 merged, { comparisons: 903, failed_comparisons: 0 }
// sampled by content: 690 merged, { comparisons: 44498, failed_comparisons: 43115 }
// sampled by hash: 690 merged, { comparisons: 2495, failed_comparisons: 1112 }
