// Colours as pixels, from the style sheet, where light and dark are told apart.

import { colour } from './theme.ts'

/** Bytes red, green, blue of a colour `#rrggbb` that the style sheet names. */
export function rgb(name: string): readonly [number, number, number] {
  const value = Number.parseInt(colour(name).slice(1), 16)
  return [value >> 16, (value >> 8) & 0xff, value & 0xff]
}

/** The same as a pixel: bytes red, green, blue, alpha. */
export function pixel([red, green, blue]: readonly [number, number, number]): number {
  return new Uint32Array(Uint8Array.of(red, green, blue, 0xff).buffer)[0]!
}

/** Part of the way from one colour to another: 0 is the first, 1 the second. */
export function mixed(
  from: readonly [number, number, number],
  to: readonly [number, number, number],
  share: number,
): [number, number, number] {
  const part = (i: 0 | 1 | 2): number => Math.round(from[i] + (to[i] - from[i]) * share)
  return [part(0), part(1), part(2)]
}

/** Puts pixels into a canvas that is as large as they are many. */
export function paint(canvas: HTMLCanvasElement, width: number, height: number, words: Uint32Array): void {
  canvas.width = width
  canvas.height = height
  const context = canvas.getContext('2d')!
  const image = context.createImageData(width, height)
  new Uint32Array(image.data.buffer).set(words)
  context.putImageData(image, 0, 0)
}
