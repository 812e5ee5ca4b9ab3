// One of a few, as buttons beside one another.

import { button, make } from './dom.ts'

/** Buttons for `values` (value and name) of which `current` is pressed. */
export function choices<T extends string>(
  label: string, values: readonly (readonly [T, string])[], current: T, choose: (value: T) => void,
): HTMLElement {
  const buttons = values.map(([value, name]) => {
    const each = button(name, '', () => {
      for (const other of buttons) other.setAttribute('aria-pressed', String(other === each))
      choose(value)
    })
    each.setAttribute('aria-pressed', String(value === current))
    return each
  })
  return make('div', { class: 'choices unprinted', role: 'group', 'aria-label': label }, ...buttons)
}
