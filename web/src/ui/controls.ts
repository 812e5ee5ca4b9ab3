// Buttons and keys.

import { byId, make } from './dom.ts'

export interface Actions {
  step(by: 1 | -1): void
  toggle(): void
  overview(): void
  choose(product: string | null): void
  chooseNext(): void
}

/** Connect the buttons and the keys; keys leave alone what is typed with Ctrl, Alt or Meta. */
export function connect(actions: Actions): void {
  byId('previous').addEventListener('click', () => actions.step(-1))
  byId('next').addEventListener('click', () => actions.step(1))
  byId('play').addEventListener('click', () => actions.toggle())
  const choice = byId<HTMLSelectElement>('choice')
  choice.addEventListener('change', () => actions.choose(choice.value === '' ? null : choice.value))
  const keys: Readonly<Record<string, () => void>> = {
    ' ': () => actions.toggle(),
    ArrowRight: () => actions.step(1),
    ArrowLeft: () => actions.step(-1),
    Escape: () => actions.overview(),
    p: () => actions.chooseNext(),
  }
  document.addEventListener('keydown', (event) => {
    const action = keys[event.key]
    const target = event.target instanceof Element ? event.target : document.body
    // A focused button takes its own space, a menu its own arrows.
    const own = target.closest('select') !== null || (event.key === ' ' && target.closest('button, a') !== null)
    if (action === undefined || own || event.ctrlKey || event.altKey || event.metaKey) return
    event.preventDefault()
    action()
  })
}

/** Show whether the tour goes on by itself. */
export function showPlaying(playing: boolean): void {
  const button = byId('play')
  button.classList.toggle('paused', !playing)
  button.setAttribute('aria-label', playing ? 'Pause the tour' : 'Go on with the tour')
}

/** Offer the products, and show which is chosen. */
export function showChoice(products: ReadonlyMap<string, string>, chosen: string | null): void {
  const choice = byId<HTMLSelectElement>('choice')
  const wanted = JSON.stringify([...products])
  if (choice.dataset['products'] !== wanted) {
    choice.dataset['products'] = wanted
    const options = [['', 'All products in turn'], ...products].map(([key, name]) => {
      const option = make('option', '', name ?? '')
      option.value = key ?? ''
      return option
    })
    choice.replaceChildren(...options)
  }
  choice.value = chosen ?? ''
}
