// Classes of values.

/** How many there are. */
export const CLASSES = 6
const PLACES = [...Array(CLASSES).keys()]

/** Where each class of counts begins: on a logarithmic scale, since the largest country has a thousand times the smallest. */
export function boundsOfCounts(most: number): number[] {
  return PLACES.map((place) => Math.max(1, Math.ceil(Math.expm1((place / CLASSES) * Math.log1p(most)))))
}

/** Where each class of rates begins: with as many countries in each, since most rates are alike and some are far off. */
export function boundsOfRates(values: readonly number[]): number[] {
  const sorted = [...values].sort((a, b) => a - b)
  return PLACES.map((place) => (place === 0 ? 0 : rounded(sorted[Math.floor((place / CLASSES) * sorted.length)] ?? 0)))
}

/** The class of a value, 0 to 5; -1 for none. */
export function classOf(value: number, from: readonly number[]): number {
  if (value <= 0) return -1
  let place = from.length - 1
  while (place > 0 && value < (from[place] ?? 0)) place -= 1
  return place
}

/** With two digits that count, and no more than the value: what is to be in the class is. */
function rounded(value: number): number {
  const near = Number(value.toPrecision(2))
  return near <= value ? near : Number((value * 0.95).toPrecision(2))
}
