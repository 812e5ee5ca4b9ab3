// Values upon one another, and what of them is a share of the whole.

import type { Count } from '../model.ts'

/** The lower and upper edge of one layer on each day; null where it wasn't counted. */
export type Edges = readonly (readonly [number, number] | null)[]

/** Each layer upon those before it. A day on which any layer wasn't counted has none: a gap, and no wrong height. */
export function stacked(layers: readonly (readonly Count[])[]): Edges[] {
  const days = layers[0]?.length ?? 0
  const edges: ([number, number] | null)[][] = layers.map(() => [])
  for (let day = 0; day < days; day++) {
    const isKnown = layers.every((layer) => layer[day] !== null && layer[day] !== undefined)
    let height = 0
    layers.forEach((layer, place) => {
      const next = height + (layer[day] ?? 0)
      edges[place]?.push(isKnown ? [height, next] : null)
      height = next
    })
  }
  return edges
}

/** Counts of each day as shares of that day's sum; a day without any has none. */
export function shares(layers: readonly (readonly Count[])[]): Count[][] {
  const days = layers[0]?.length ?? 0
  const sums = Array.from({ length: days }, (_, day) => layers.reduce((sum, layer) => sum + (layer[day] ?? 0), 0))
  return layers.map((layer) => layer.map((count, day) => (count === null || !sums[day] ? null : count / sums[day])))
}
