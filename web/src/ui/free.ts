// The part of the stage that no panel covers.

import type { Box } from '../map/box.ts'
import { byId } from './dom.ts'

// Air to the panels, in CSS pixels.
const AIR_PX = 16

/** In pixels of the stage. Panels that stand beside or below the stage (a phone) take nothing. */
export function freePart(): Box {
  const stage = byId('stage').getBoundingClientRect()
  let [left, right, bottom] = [0, stage.width, stage.height]
  const covers = (panel: DOMRect): boolean => panel.width > 0 && panel.top < stage.bottom && panel.bottom > stage.top
  const [head, list, foot] = ['.head', '.ranking', '.foot'].map((name) =>
    (document.querySelector(name) ?? document.body).getBoundingClientRect())
  if (head !== undefined && covers(head)) left = head.right - stage.left + AIR_PX
  if (list !== undefined && covers(list)) right = list.left - stage.left - AIR_PX
  if (foot !== undefined && covers(foot)) bottom = foot.top - stage.top - AIR_PX
  return { left, top: AIR_PX, right: Math.max(right, left + 80), bottom: Math.max(bottom, 80) }
}
