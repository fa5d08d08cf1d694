// Elements in one call.

type Attributes = Readonly<Record<string, string | number | undefined>>

/** Makes an element; attributes that are undefined are left out, text becomes text and never markup. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(key, String(value))
  }
  made.append(...children)
  return made
}

let lastId = 0

/** An id nobody else has, to name one element by from another. */
export function freshId(): string {
  lastId++
  return `id-${lastId}`
}
