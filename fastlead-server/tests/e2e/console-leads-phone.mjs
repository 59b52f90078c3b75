// Leads in the console on a phone, in both languages and themes.
import { tell } from './leads-story.mjs';
import { LOOKS } from './station.mjs';

await tell('console-leads-phone', LOOKS.filter(({ isMobile }) => isMobile));
