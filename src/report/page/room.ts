// When something has its place: what is out of sight is neither laid out nor drawn before it is scrolled to.

/** Calls `layOut` when an element comes to have room, and when that changes; on paper everything has. */
export function onRoom(place: Element, layOut: () => void): void {
  new ResizeObserver(layOut).observe(place)
  addEventListener('beforeprint', layOut)
}
