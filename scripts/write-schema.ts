// Writes the JSON schema of recipes, for editors, to recipes/schema.json. Usage: npm run schema
import { writeFileSync } from "node:fs";
import { recipeJsonSchema } from "../src/train/recipe.js";

writeFileSync(new URL("../recipes/schema.json", import.meta.url), `${JSON.stringify(recipeJsonSchema(), null, 2)}\n`);
