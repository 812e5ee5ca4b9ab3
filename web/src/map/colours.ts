// Colours of countries: classes on a logarithmic scale, since the largest country has a thousand times the smallest.

export const LAND = '#1d2940'
export const BORDER = '#0b1322'
export const HIGHLIGHT = '#ffd479'
export const PULSE = '255, 200, 87'

// Lightness rises evenly from class to class, so the order is read without seeing the hue.
export const CLASSES = ['#17456b', '#1b6190', '#2380ae', '#36a2c4', '#62c5d3', '#a5e8e0'] as const

/** The class of a count, 0 to 5, where `most` is the largest count; -1 for none. */
export function classOf(count: number, most: number): number {
  if (count <= 0) return -1
  const share = Math.log1p(count) / Math.log1p(Math.max(count, most))
  return Math.min(CLASSES.length - 1, Math.floor(share * CLASSES.length))
}

/** The colour of a count. */
export function colourOf(count: number, most: number): string {
  return CLASSES[classOf(count, most)] ?? LAND
}

/** The smallest count of each class. */
export function bounds(most: number): number[] {
  return CLASSES.map((_, place) => Math.max(1, Math.ceil(Math.expm1((place / CLASSES.length) * Math.log1p(most)))))
}
