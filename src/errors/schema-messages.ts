// zod's sentences about what is wrong with a value. Its small build, which the rooms take that run in a browser, has
// none unless they are handed in.
import * as z from "zod/mini";

/** For `safeParse`: what is said of each issue. */
export const messages = { error: z.locales.en().localeError };
