// Elements, made with text alone: what the server sends is never read as HTML.

/** The element of the page with that id. */
export function byId<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found as T
}

/** A new element with a class (or '') and texts or elements in it. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K, name: string, ...content: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  if (name !== '') element.className = name
  element.append(...content)
  return element
}

/** Set a text where it differs, so that nothing is laid out for nothing. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

/** Have `build` make an element's content anew where what it shows has changed, so that nothing is laid out for nothing. */
export function showIn(element: HTMLElement, shown: unknown, build: () => readonly Node[]): void {
  const state = JSON.stringify(shown)
  if (states.get(element) === state) return
  states.set(element, state)
  element.replaceChildren(...build())
}

const states = new WeakMap<HTMLElement, string>()
