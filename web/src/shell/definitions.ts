// Each number's label leads to what exactly it is.

import { make } from './dom.ts'

/** A label that links to its line of the definitions, `anchor` being that of its heading. */
export function defined(label: string, anchor: string): HTMLAnchorElement {
  return make('a', { class: 'defined', href: definitionUrl(anchor), title: `What exactly is “${label}”?` }, label)
}

export const definitionUrl = (anchor: string): string => `/definitions#${anchor}`
