// Where the tour goes: of each product the whole world, then its top countries. Pure: numbers in, stops out.

/** A stop; `country` is null for the whole world. */
export interface Stop { readonly product: string; readonly country: string | null }

/** Countries of a product that the tour visits. */
export const TOP = 5

/** All stops in order; `tops` are the ranked countries of each product, those without any are left out. */
export function stopsOf(tops: ReadonlyMap<string, readonly string[]>): Stop[] {
  return [...tops].flatMap(([product, countries]) =>
    countries.length === 0
      ? []
      : [null, ...countries.slice(0, TOP)].map((country) => ({ product, country })),
  )
}

/** The stop `step` (1 or -1) from `now`. Where the ranking has changed meanwhile, the tour goes on in the same place. */
export function next(stops: readonly Stop[], now: Stop | null, place: number, step: 1 | -1): { stop: Stop | null; place: number } {
  if (stops.length === 0) return { stop: null, place: 0 }
  const found = now === null ? -1 : stops.findIndex((stop) => stop.product === now.product && stop.country === now.country)
  const from = found >= 0 ? found : now === null ? (step > 0 ? -1 : 0) : Math.min(place, stops.length) - (step > 0 ? 1 : 0)
  const to = (from + step + stops.length) % stops.length
  return { stop: stops[to] ?? null, place: to }
}
