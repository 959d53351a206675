// Removing what a rewrite left unused, and only that.
export { dropUnread as dropUnused } from "../passes/remove-unread.js";
