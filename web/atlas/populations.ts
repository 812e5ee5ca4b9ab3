// How many people live in a country, from Unicode's CLDR: estimates of the year before its release.

interface Territories { readonly supplemental: { readonly territoryInfo: Readonly<Record<string, { readonly _population?: string }>> } }

/** Inhabitants by code; where nobody lives, or nobody knows, there is none. */
export function populationsOf(source: Territories, codes: readonly string[]): Record<string, number> {
  const all = source.supplemental.territoryInfo
  const found = codes.map((code): [string, number] => [code, Number(all[code]?._population ?? 0)])
  return Object.fromEntries(found.filter(([, people]) => people > 0))
}
