// Which parts of a country a view of it must show: its main land, not what lies an ocean away.

import { type Box, height, size, union, width } from './box.ts'

/** A part of a country: its box in the plane, and its true area (any unit). */
export interface Part { readonly box: Box; readonly area: number }

// A part this large belongs to the country wherever it lies: the islands of Indonesia, both halves of Malaysia. Alaska
// has a fifth of the area of the contiguous United States, French Guiana a sixth of France's, Svalbard a fifth of Norway's.
const LARGE_SHARE = 0.25
// A smaller one is in if neither side of the frame grows by more than this share of the longer one: Corsica is in; Svalbard,
// Easter Island, Hawaii are not. (The longer side alone would not do: Chile is narrow, Easter Island lies west of it.)
const GROWTH = 0.11

/** The parts of the main land, the largest first; `parts` has one at least. */
export function mainLand<T extends Part>(parts: readonly T[]): [T, ...T[]] {
  const [first, ...others] = [...parts].sort((a, b) => b.area - a.area)
  if (first === undefined) throw new RangeError('a country without a part')
  const main: [T, ...T[]] = [first]
  let box = others.filter((part) => isLarge(part, first)).reduce((all, part) => union(all, part.box), first.box)
  const air = size(box) * GROWTH
  const [widest, highest] = [width(box) + air, height(box) + air]
  for (const part of others) {
    const grown = union(box, part.box)
    if (!isLarge(part, first) && (width(grown) > widest || height(grown) > highest)) continue
    main.push(part)
    box = grown
  }
  return main
}

/** The box around parts. */
export function boxOf(parts: readonly [Part, ...Part[]]): Box {
  return parts.reduce((box, part) => union(box, part.box), parts[0].box)
}

function isLarge(part: Part, first: Part): boolean {
  return part.area >= LARGE_SHARE * first.area
}
