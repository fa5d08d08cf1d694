// The door `pagefold/images`: guests' memory from files, and from whatever a source names.

export type { Image, ImageFormat } from '../image.ts'
export { FORMAT_NAMES } from './formats.ts'
export { openImage, openRawImage } from './open.ts'
export { openSource, openSources } from './source.ts'
