// A place on each country that has no shape of its own at 1:50m, in degrees east and north. Some lie in the shape of
// another country there (French Guiana in France's): what lies around the place is theirs. Others have a dot there.

export type Point = readonly [lon: number, lat: number]

export const POINTS: Readonly<Record<string, Point>> = {
  BQ: [-68.27, 12.18],
  BV: [3.36, -54.42],
  CC: [96.83, -12.17],
  CX: [105.63, -10.49],
  GF: [-53.13, 3.93],
  GI: [-5.35, 36.14],
  GP: [-61.55, 16.25],
  MQ: [-61.02, 14.64],
  RE: [55.54, -21.12],
  SJ: [16.0, 78.6],
  TK: [-171.83, -9.17],
  TV: [179.19, -8.52],
  UM: [166.63, 19.28],
  YT: [45.15, -12.83],
}
