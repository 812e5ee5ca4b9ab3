// What the colours mean.

import { byId, make, showIn } from './dom.ts'
import { number, say, short, shortRate } from './words.ts'

export interface Legend {
  /** The colour of each class, and where it begins. */
  readonly classes: readonly string[]
  readonly from: readonly number[]
  readonly whole: boolean
  /** The colour of countries whose number a guest is not told, and the floor; null where there is none. */
  readonly few: { readonly colour: string; readonly floor: number } | null
}

/** Show the classes; those that would begin alike are left out, as is all where nothing is counted. */
export function showLegend(legend: Legend | null): void {
  const element = byId('legend')
  element.hidden = legend === null
  if (legend === null) return
  showIn(element, legend, () => {
    const { classes, from, whole, few } = legend
    const items = classes.flatMap((colour, place) => {
      const least = from[place] ?? 0
      if (least === from[place + 1]) return []
      // The lowest class of rates begins above nothing.
      return [item(colour, least === 0 ? `< ${shortRate(from[1] ?? 0)}` : `${whole ? short(least) : shortRate(least)}+`)]
    })
    return few === null ? items : [item(few.colour, say('fewer', { floor: number(few.floor) })), ...items]
  })
}

function item(colour: string, text: string): HTMLElement {
  const swatch = make('i', '')
  swatch.style.setProperty('--colour', colour)
  return make('span', '', swatch, text)
}
