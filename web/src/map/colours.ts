// Classes of values: on a logarithmic scale, since the largest country has a thousand times the smallest.

/** How many there are. */
export const CLASSES = 6
// Of rates, each class begins at a third of the next.
const STEP = 3

/** Where each class begins, where `most` is the largest value; counts are whole, rates are not. */
export function bounds(most: number, whole: boolean): number[] {
  const places = [...Array(CLASSES).keys()]
  if (whole) return places.map((place) => Math.max(1, Math.ceil(Math.expm1((place / CLASSES) * Math.log1p(most)))))
  return places.map((place) => (place === 0 ? 0 : Number((most / STEP ** (CLASSES - place)).toPrecision(1))))
}

/** The class of a value, 0 to 5; -1 for none. */
export function classOf(value: number, from: readonly number[]): number {
  if (value <= 0) return -1
  let place = from.length - 1
  while (place > 0 && value < (from[place] ?? 0)) place -= 1
  return place
}
