// The connection to the server: kept up, made again after a pause whenever it is lost.

import { ASK_SNAPSHOT, type Message } from './messages.ts'

// The server says something every 10 s at least; two and a half of those, and it has gone.
const SILENCE_MS = 25_000
// As docs/live.md asks: random, up to 0.2, 0.4 … 5 s, so that a room of screens doesn't come back at once.
const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 5_000

export interface Listener {
  /** A message came, decoded. Return true to ask for a snapshot. */
  message(message: Message): boolean
  /** The connection is there, or is lost. */
  connected(there: boolean): void
}

/** How long to wait before try number `tries` (0: the first), in ms; `random` is 0 … 1. */
export function pauseMs(tries: number, random: number): number {
  return random * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(tries, 10))
}

/** The websocket beside the page: `wss:` where the page came by `https:`. */
export function liveUrl(page: string): string {
  const url = new URL('live', page)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  url.search = url.hash = ''
  return url.href
}

/** Connect, and go on connecting for as long as the page is open. */
export function follow(url: string, listener: Listener): void {
  let tries = 0
  const open = (): void => {
    const socket = new WebSocket(url)
    // A close() of ours would wait for an answer from who has gone: the connection is left behind instead.
    const lost = (): void => {
      clearTimeout(silence)
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.close()
      listener.connected(false)
      setTimeout(open, pauseMs(tries, Math.random()))
      tries += 1
    }
    let silence = setTimeout(lost, SILENCE_MS)
    socket.onopen = () => listener.connected(true)
    socket.onclose = lost
    socket.onmessage = ({ data }: MessageEvent<string>) => {
      clearTimeout(silence)
      silence = setTimeout(lost, SILENCE_MS)
      tries = 0
      if (listener.message(JSON.parse(data) as Message)) socket.send(ASK_SNAPSHOT)
    }
  }
  open()
}
