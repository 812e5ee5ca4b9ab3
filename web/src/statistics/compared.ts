// A number beside what it was.

import { type Content, make } from '../shell/dom.ts'
import { change, number } from '../shell/format.ts'
import type { Compared, Count } from './model.ts'

/** Numbers that had better fall. */
export type Wish = 'more' | 'fewer' | 'neither'

/** How a number has changed, said in words to those who don't see its colour; null where it isn't known. */
export function changeOf(now: Count, before: Count, wish: Wish = 'more'): HTMLElement | null {
  const said = change(now, before)
  if (said === null || now === null || before === null) return null
  const rose = now - before
  const isGood = wish === 'fewer' ? rose < 0 : rose > 0
  const name = rose === 0 || wish === 'neither' ? 'change' : `change ${isGood ? 'up' : 'down'}`
  const arrow = rose === 0 ? '' : rose > 0 ? '▲ ' : '▼ '
  return make(
    'span', { class: name, title: `${number(before)} in the period before` },
    make('span', { 'aria-hidden': 'true' }, arrow), said, make('span', { class: 'unseen' }, `, ${number(before)} before`),
  )
}

/** The number, and below it how it has changed. */
export function compared(value: Compared): Content {
  const changed = changeOf(value.now, value.before)
  return make('span', { class: 'compared' }, number(value.now), changed)
}

/** The same, where nothing is known of the time before: that was before the first day that there is. */
export const alone = (value: Compared): Compared => ({ now: value.now, before: null })

/** Whether there is a time before to compare with. */
export const hasBefore = (firstDay: string | null, from: string): boolean => firstDay !== null && firstDay < from

/** The sum of some numbers that are compared; unknown if one of them is. */
export function summed(values: readonly Compared[]): Compared {
  const sum = (each: readonly Count[]): Count => each.reduce((whole, one) => (whole === null || one === null ? null : whole + one), 0)
  return { now: sum(values.map((value) => value.now)), before: sum(values.map((value) => value.before)) }
}
