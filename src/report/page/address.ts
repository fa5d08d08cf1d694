// Addresses within a report: what stands behind the # and leads to a page of a map.

/** A page of an image, or the pages that it shares with another. */
export interface Address {
  /** Which map, where there are several. */
  readonly map: string
  /** The number of the image, from 0. */
  readonly image: number
  /** The page, as a reader would type it: its number, or 0x and its address. */
  readonly page?: string
  /** The next page that shares a frame with a page of this image. */
  readonly sharedWith?: number
}

/** Writes `#0/31`, `#b/0/31` for the map `b`, `#0/with/2`. */
export function writeAddress({ map, image, page, sharedWith }: Address): string {
  const parts = [image, ...(sharedWith === undefined ? [page!] : ['with', sharedWith])]
  return `#${[...(map === '' ? [] : [encodeURIComponent(map)]), ...parts].join('/')}`
}

/** Reads one; undefined if it is something else. */
export function readAddress(hash: string): Address | undefined {
  const found = /^#(?:([^/]*[^/\d][^/]*)\/)?(\d+)\/(?:with\/(\d+)|(\d+|0[xX][\da-fA-F]+))$/.exec(hash)
  if (found === null) return undefined
  const [, map = '', image, sharedWith, page] = found
  return {
    map: decoded(map),
    image: Number(image),
    ...(page === undefined ? { sharedWith: Number(sharedWith) } : { page }),
  }
}

/** Somebody may have typed it. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
