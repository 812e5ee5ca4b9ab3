// The map on the wall.

import type { Atlas } from '../atlas/countries.ts'
import atlasUrl from '../generated/atlas.json?url'
import { choicesOf } from './choices.ts'
import { expose } from './debug.ts'
import { beKiosk } from './kiosk.ts'
import { follow, liveUrl } from './live/socket.ts'
import { countriesOf } from './map/atlas.ts'
import { paletteOf, USUAL_HUE } from './map/palette.ts'
import { Screen } from './map/screen.ts'
import { byId } from './ui/dom.ts'
import { showFailure } from './ui/status.ts'
import { showTheme, themeOf } from './ui/theme.ts'
import { translate } from './ui/translate.ts'
import { say } from './ui/words.ts'
import { Wall } from './wall.ts'

// A wall that is switched on during a restart of the server must come up by itself.
const AGAIN_MS = 5_000

const why = (error: unknown): string => (error instanceof Error ? error.message : String(error))

async function main(): Promise<void> {
  const choices = choicesOf(new URLSearchParams(location.search))
  const palette = paletteOf(themeOf(choices.theme), USUAL_HUE)
  translate()
  showTheme(themeOf(choices.theme), palette.accent)
  if (choices.kiosk) beKiosk()
  const countries = countriesOf(await atlas())
  const canvases = [byId<HTMLCanvasElement>('land'), byId<HTMLCanvasElement>('pulses')] as const
  const screen = new Screen(byId('stage'), canvases, countries, palette)
  const wall = new Wall(screen, choices)
  expose(wall, screen)
  follow(liveUrl(location.href), wall)
}

/** The countries' shapes; while they are not to be had, the page says so and is loaded again. */
async function atlas(): Promise<Atlas> {
  try {
    const answer = await fetch(atlasUrl)
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`)
    return (await answer.json()) as Atlas
  } catch (error) {
    showFailure(say('noShapes', { why: why(error) }))
    setTimeout(() => location.reload(), AGAIN_MS)
    return new Promise(() => {})
  }
}

void main().catch((error: unknown) => {
  showFailure(say('noMap', { why: why(error) }))
  throw error
})
