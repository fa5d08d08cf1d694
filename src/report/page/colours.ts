// Colours as pixels, from the style sheet, where light and dark are told apart.

import { colour } from './theme.ts'

/** Bytes red, green, blue of a colour `#rrggbb` that the style sheet names. */
export function rgb(name: string): readonly [number, number, number] {
  const value = Number.parseInt(colour(name).slice(1), 16)
  return [value >> 16, (value >> 8) & 0xff, value & 0xff]
}

const RED_FIRST = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1

/** The same as a pixel: bytes red, green, blue, alpha. */
export function pixel(red: number, green: number, blue: number): number {
  return RED_FIRST
    ? ((0xff << 24) | (blue << 16) | (green << 8) | red) >>> 0
    : ((red << 24) | (green << 16) | (blue << 8) | 0xff) >>> 0
}

/** The pixels of colours that the style sheet names. */
export function pixels(names: readonly string[]): Uint32Array {
  return Uint32Array.from(names, (name) => pixel(...rgb(name)))
}

/** Pixels from one colour to another, in so many steps. */
export function ramp(from: string, to: string, steps: number): Uint32Array {
  const [start, end] = [rgb(from), rgb(to)]
  return Uint32Array.from({ length: steps }, (_, step) => {
    const part = (i: 0 | 1 | 2): number => start[i] + ((end[i] - start[i]) * step) / (steps - 1)
    return pixel(part(0), part(1), part(2))
  })
}

/** Puts pixels into a canvas that is as large as they are many. */
export function paint(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
  words: Uint32Array<ArrayBuffer>,
): void {
  if (canvas.width !== width) canvas.width = width
  if (canvas.height !== height) canvas.height = height
  const context = canvas.getContext('2d')!
  const bytes = new Uint8ClampedArray(words.buffer, words.byteOffset, words.byteLength)
  context.putImageData(new ImageData(bytes, width, height), 0, 0)
}
