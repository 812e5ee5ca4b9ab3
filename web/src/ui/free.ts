// The part of the stage that no panel covers.

import type { Box } from '../map/box.ts'
import { byId } from './dom.ts'

// Air to the panels, in CSS pixels.
const AIR_PX = 16

/** In pixels of the stage. Panels that stand beside or below the stage (a phone) take nothing. */
export interface Free {
  /** Beside the country's card. */
  readonly country: Box
  /** Where there is no card. */
  readonly world: Box
}

export function freePart(): Free {
  const stage = byId('stage').getBoundingClientRect()
  const covers = (panel: DOMRect): boolean => panel.width > 0 && panel.top < stage.bottom && panel.bottom >= stage.top
  const [head, side, list, foot] = ['.head', '.side', '.ranking', '.foot'].map((name) => {
    const panel = document.querySelector(name)?.getBoundingClientRect()
    return panel !== undefined && covers(panel) ? panel : null
  })
  // A head that is no wider than the card stands above it, and the world may lie below its corner.
  const isBar = head != null && side != null && head.width > 1.5 * side.width
  const top = isBar ? head.bottom - stage.top + AIR_PX : AIR_PX
  const bottom = foot != null ? foot.top - stage.top - AIR_PX : stage.height
  const left = side != null ? side.right - stage.left + AIR_PX : 0
  const right = list != null ? list.left - stage.left - AIR_PX : stage.width
  const box = (from: number): Box => ({ left: from, top, right: Math.max(right, from + 80), bottom: Math.max(bottom, top + 80) })
  return { country: box(left), world: box(0) }
}
