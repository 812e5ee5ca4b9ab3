// The shapes of world-atlas (Natural Earth, 1:50m) under the codes that pings are counted by: ISO 3166-1 alpha-2.

import iso from 'i18n-iso-countries'
import type { GeometryCollection, Topology } from 'topojson-specification'

// Kosovo has no number in ISO 3166; XK is the code that the registries and browsers use for it.
const BY_NAME: Readonly<Record<string, string>> = { Kosovo: 'XK' }

export type Atlas = Topology<{ countries: GeometryCollection }>
type Source = Topology<{ countries: GeometryCollection }>

/** Every code there is, Kosovo's included. */
export function allCodes(): string[] {
  return Object.keys(iso.getAlpha2Codes()).sort()
}

/** Return the atlas with alpha-2 codes as ids and nothing that the map doesn't draw; areas without a code have none. */
export function withCodes(source: Source): Atlas {
  const seen = new Set<string>()
  const geometries = source.objects.countries.geometries.map(({ properties, id, ...shape }) => {
    const code = BY_NAME[(properties as { name?: string } | undefined)?.name ?? ''] ?? (id === undefined ? undefined : iso.numericToAlpha2(id))
    // Ashmore and Cartier Islands come under Australia's number, behind Australia.
    if (code === undefined || seen.has(code)) return shape
    seen.add(code)
    return { ...shape, id: code }
  })
  return { ...source, objects: { countries: { type: 'GeometryCollection', geometries } } } as Atlas
}
