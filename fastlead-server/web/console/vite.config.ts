import { fileURLToPath } from 'node:url';
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
// A running `fastlead demo`, for `npm run dev`.
const server = process.env.FASTLEAD_URL ?? 'http://127.0.0.1:8080';
// What every screen needs changes seldom: it stands in a part of its own, so that a change of a screen rewrites little.
const SHARED = /node_modules[\\/](react|react-dom|scheduler|@tanstack|zustand)[\\/]/;

export default defineConfig({
  base: '/console/',
  plugins: [react(), tailwindcss()],
  resolve: {
    alias: {
      '@': here('./src'),
      // Radix brings a module that writes a <style>, which the policy of the pages refuses.
      'react-remove-scroll': here('./src/ui/remove-scroll.tsx'),
    },
  },
  build: {
    outDir: process.env.FASTLEAD_WEB_OUT ?? 'dist',
    emptyOutDir: true,
    manifest: true,
    sourcemap: false,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: { codeSplitting: { groups: [{ name: 'shared', test: SHARED }] } },
    },
  },
  server: {
    proxy: {
      // The server takes a cookie from its own pages alone, and these are served by another port.
      '/v1': { target: server, headers: { origin: server, 'sec-fetch-site': 'same-origin' } },
    },
  },
  test: { environment: 'happy-dom', include: ['src/**/*.test.{ts,tsx}'] },
});
