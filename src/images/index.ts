// The door `pagefold/images`: guests' memory from files, and from whatever a source names.

export type { Image, ImageFormat } from '../image.ts'
export { FORMAT_NAMES, PACKING_NAMES } from './formats.ts'
export { type KernelKsmStat, kernelKsm, kernelKsmStat } from './live/kernel.ts'
export { openImage, openRawImage } from './open.ts'
export { IMAGE_FORMATS, type ImageOptions } from './options.ts'
export { ABSENT_POLICIES, type AbsentPolicy } from './ranges.ts'
export { openSource, openSources } from './source.ts'
