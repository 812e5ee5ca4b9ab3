// Put into a page before its own scripts, as `(options) => void`: its clock, timers and frames run `speed` times as
// fast, and what it follows is a server within it that counts on, and restarts every hour of that clock.
({ speed, countries, products, everyMs, restartMs }) => {
  const { performance, setTimeout: later, setInterval: again, requestAnimationFrame: frame, Date: RealDate } = window
  const [begun, epochMs] = [performance.now(), RealDate.now()]
  const realNow = performance.now.bind(performance)
  const now = () => (realNow() - begun) * speed
  const day = (window.day = { messages: 0, restarts: 0, stops: 0, hours: () => now() / 3_600_000 })

  performance.now = now
  window.Date = class extends RealDate {
    constructor(...given) {
      super(...(given.length === 0 ? [epochMs + now()] : given))
    }
    static now() {
      return epochMs + now()
    }
  }
  window.setTimeout = (task, ms = 0, ...given) => later(task, ms / speed, ...given)
  window.setInterval = (task, ms = 0, ...given) => again(task, ms / speed, ...given)
  window.requestAnimationFrame = (task) => frame(() => task(now()))

  const counts = new Map()
  const row = (product, country) => {
    const key = JSON.stringify([product, country])
    const found = counts.get(key) ?? { product, country, numbers: [1, 9, 1, 50 + ((product.length * 37 + country.charCodeAt(0) * 91) % 900), 400, 50] }
    counts.set(key, found)
    return found
  }
  const told = ({ product, country, numbers }) => [product, country, ...numbers]
  const any = (list) => list[Math.floor(Math.random() * list.length)]
  const today = () => new RealDate(epochMs + now()).toISOString().slice(0, 10)

  window.WebSocket = class {
    constructor() {
      const epoch = String(Math.random())
      let seq = 1
      const base = (type) => ({ type, epoch, seq, at: new Date().toISOString(), today: today() })
      const say = (message) => this.onmessage?.({ data: JSON.stringify(message) })
      const snapshot = () => {
        const rows = products.flatMap(({ key }) => countries.map((country) => told(row(key, country))))
        const builds = products.flatMap(({ key }) => ['3.1', '3.0', '2.9'].map((version, place) => [key, version, 'b7', 900 - 100 * place]))
        say({ ...base('snapshot'), products, countries: rows, builds })
      }
      this.send = snapshot
      later(() => {
        this.onopen?.()
        snapshot()
      })
      const sending = window.setInterval(() => {
        seq += 1
        day.messages += 1
        const changed = [1, 2, 3, 4].map(() => row(any(products).key, any(countries)))
        for (const { numbers } of changed) numbers.forEach((number, place) => (numbers[place] = number + (place % 3 === 2 ? 1 : Math.random() < 0.1 ? 1 : 0)))
        say({ ...base('change'), products: [], countries: changed.map(told), builds: [[any(products).key, '3.1', 'b7', 800 + (seq % 200)]] })
      }, everyMs)
      const restart = window.setTimeout(() => {
        day.restarts += 1
        this.close()
        this.onclose?.()
      }, restartMs)
      this.close = () => {
        clearInterval(sending)
        clearTimeout(restart)
      }
    }
  }

  // What the tour has shown.
  let shown = null
  again(() => {
    const { product, country } = window.callhome?.view() ?? {}
    if (product !== undefined && `${product}/${country}` !== shown) {
      shown = `${product}/${country}`
      day.stops += 1
    }
  }, 4)
}
