// Colours by lightness, chroma and hue as people see them (Ottosson, 2020: Oklab), and how well they contrast.

type Rgb = readonly [red: number, green: number, blue: number]

/** `#rrggbb` of a colour: lightness 0 … 1, chroma, hue in degrees. What no screen can show gets less chroma. */
export function hex(lightness: number, chroma: number, hue: number): string {
  let rest = chroma
  let rgb = linear(lightness, rest, hue)
  while (rest > 0 && rgb.some((part) => part < -1e-4 || part > 1 + 1e-4)) {
    rest = Math.max(0, rest - 0.005)
    rgb = linear(lightness, rest, hue)
  }
  return `#${rgb.map((part) => Math.round(255 * encoded(Math.min(1, Math.max(0, part)))).toString(16).padStart(2, '0')).join('')}`
}

/** Red, green and blue, 0 … 255. */
export function rgbOf(colour: string): Rgb {
  const value = parseInt(colour.slice(1), 16)
  return [value >> 16, (value >> 8) & 255, value & 255]
}

/** The contrast of two colours, 1 … 21, as WCAG 2 defines it. */
export function contrast(one: string, other: string): number {
  const [a, b] = [luminance(one), luminance(other)]
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
}

function luminance(colour: string): number {
  const [red, green, blue] = rgbOf(colour).map((part) => decoded(part / 255)) as unknown as Rgb
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function linear(lightness: number, chroma: number, hue: number): Rgb {
  const [a, b] = [chroma * Math.cos((hue * Math.PI) / 180), chroma * Math.sin((hue * Math.PI) / 180)]
  const long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
  const medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
  const short = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
  return [
    4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
    -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
    -0.0041960863 * long - 0.7034186147 * medium + 1.707614701 * short,
  ]
}

const encoded = (part: number): number => (part <= 0.0031308 ? 12.92 * part : 1.055 * part ** (1 / 2.4) - 0.055)
const decoded = (part: number): number => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
