// What stands where numbers will be, where there are none, and where something went wrong.

import { ApiError } from './api.ts'
import { button, type Content, make } from './dom.ts'

/** Grey shapes of about the size of what will come, so that nothing jumps. `heights`: of each, in rem. */
export function loading(...heights: readonly number[]): HTMLElement {
  const shapes = heights.map((height) => {
    const shape = make('div', { class: 'skeleton' })
    shape.style.height = `${height}rem`
    return shape
  })
  return make('div', { class: 'table', 'data-state': 'loading' }, make('p', { class: 'unseen' }, 'Loading'), ...shapes)
}

/** That there is nothing, and what to do next. */
export function empty(what: string, ...next: readonly Content[]): HTMLElement {
  return make('div', { class: 'state', 'data-state': 'empty' }, make('strong', {}, what), ...next)
}

/** What went wrong, with a button that tries again. */
export function failed(error: unknown, again: () => void): HTMLElement {
  const message = error instanceof ApiError ? error.message : 'The page could not show this.'
  return make(
    'div', { class: 'state failed', role: 'alert', 'data-state': 'error' },
    make('strong', {}, 'This could not be loaded'), make('p', {}, message), button('Try again', 'button', again),
  )
}

/**
 * Show in `place` what `load` brings: first what `waiting` makes, unless something is shown already, then what `show` makes
 * of it, or the error. A later call for the same place wins over an earlier one, whose signal is aborted.
 */
export async function fill<T>(
  place: HTMLElement, waiting: () => HTMLElement, load: (signal: AbortSignal) => Promise<T>, show: (found: T) => Content[],
): Promise<void> {
  running.get(place)?.abort()
  const control = new AbortController()
  running.set(place, control)
  place.setAttribute('aria-busy', 'true')
  if (place.childElementCount === 0 || place.querySelector('[data-state=error]') !== null) place.replaceChildren(waiting())
  let content: Content[]
  try {
    content = show(await load(control.signal))
  } catch (error) {
    if (control.signal.aborted) return
    if (!(error instanceof ApiError)) console.error(error)
    content = [failed(error, () => void fill(place, waiting, load, show))]
  }
  if (control.signal.aborted) return
  place.replaceChildren(...content.filter((each) => each !== null))
  place.removeAttribute('aria-busy')
}

const running = new WeakMap<HTMLElement, AbortController>()
