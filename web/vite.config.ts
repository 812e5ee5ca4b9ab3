// Builds the pages into the Python package, from where the console serves them.

import { defineConfig } from 'vite'
import { notice } from './build/notice.ts'
import { weight } from './build/weight.ts'

export default defineConfig({
  // Beside the page, wherever a proxy puts it.
  base: './',
  // No polyfill: browsers that have ES2022 load modules by themselves, and the policy of the page allows no inline script.
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    outDir: '../server/callhome/console/pages',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    rollupOptions: { input: 'map.html' },
  },
  plugins: [notice(), weight(350_000)],
})
