// Elements, made with text alone: what the server sends is never read as HTML.

export type Content = Node | string | null

/**
 * A new element with attributes and texts or elements in it. An attribute that is null or false is left out, true is one
 * without a value; `null` among the content is nothing.
 */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K, attributes: Readonly<Record<string, string | number | boolean | null>> = {}, ...content: readonly Content[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  setAll(element, attributes)
  element.append(...content.filter((each) => each !== null))
  return element
}

/** A new element of SVG. */
export function draw<K extends keyof SVGElementTagNameMap>(
  tag: K, attributes: Readonly<Record<string, string | number | boolean | null>> = {}, ...content: readonly Content[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
  setAll(element, attributes)
  element.append(...content.filter((each) => each !== null))
  return element
}

/** A button that does something. */
export function button(text: string, name: string, act: () => void): HTMLButtonElement {
  const made = make('button', { type: 'button', class: name }, text)
  made.addEventListener('click', act)
  return made
}

/** The element of the page with that id. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found
}

let ids = 0

/** An id that no other element of the page has. */
export const newId = (name: string): string => `${name}-${++ids}`

function setAll(element: Element, attributes: Readonly<Record<string, string | number | boolean | null>>): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue
    element.setAttribute(name, value === true ? '' : String(value))
  }
}
