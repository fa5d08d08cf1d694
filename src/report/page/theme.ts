// Colours, from the style sheet, where light and dark are told apart.

const dark = matchMedia('(prefers-color-scheme: dark)')

/** The value of a custom property at this moment. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

/** Calls `redraw` whenever the reader changes between light and dark. */
export function onThemeChange(redraw: () => void): void {
  dark.addEventListener('change', redraw)
}
