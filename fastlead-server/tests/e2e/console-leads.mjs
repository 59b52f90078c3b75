// Leads in the console on a desk, in both languages and themes.
import { tell } from './leads-story.mjs';
import { LOOKS } from './station.mjs';

await tell('console-leads', LOOKS.filter(({ isMobile }) => !isMobile));
