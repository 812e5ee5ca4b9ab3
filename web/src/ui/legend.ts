// What the colours mean.

import { bounds, CLASSES } from '../map/colours.ts'
import { byId, make } from './dom.ts'
import { short } from './words.ts'

/** Show the classes up to the largest count; those that would begin alike are left out. */
export function showLegend(most: number): void {
  const legend = byId('legend')
  legend.hidden = most === 0
  const from = bounds(most)
  const items = CLASSES.flatMap((colour, place) => {
    if (from[place] === from[place + 1]) return []
    const swatch = make('i', '')
    swatch.style.setProperty('--colour', colour)
    return make('span', '', swatch, `${short(from[place] ?? 0)}+`)
  })
  legend.replaceChildren(...items)
}
