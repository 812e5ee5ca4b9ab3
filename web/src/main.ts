// The map on the wall.

import type { Atlas } from '../atlas/countries.ts'
import atlasUrl from '../generated/atlas.json?url'
import { choicesOf } from './choices.ts'
import { expose } from './debug.ts'
import { follow, liveUrl } from './live/socket.ts'
import { countriesOf } from './map/atlas.ts'
import { Screen } from './map/screen.ts'
import { byId } from './ui/dom.ts'
import { showFailure } from './ui/status.ts'
import { Wall } from './wall.ts'

// A wall that is switched on during a restart of the server must come up by itself.
const AGAIN_MS = 5_000

async function main(): Promise<void> {
  const countries = countriesOf(await atlas())
  const screen = new Screen(byId('stage'), byId<HTMLCanvasElement>('land'), byId<HTMLCanvasElement>('pulses'), countries)
  const wall = new Wall(screen, choicesOf(new URLSearchParams(location.search)))
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
    showFailure(`The map’s shapes can’t be loaded (${error instanceof Error ? error.message : String(error)}). Trying again …`)
    setTimeout(() => location.reload(), AGAIN_MS)
    return new Promise(() => {})
  }
}

void main().catch((error: unknown) => {
  showFailure(`The map can’t be drawn here: ${error instanceof Error ? error.message : String(error)}`)
  throw error
})
