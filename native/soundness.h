// Libraries that compute wrongly are told apart when the addon is loaded.
#pragma once

namespace engine {

// False where convolutions of oneDNN are wrong here: it is then switched off. Looked at once a process.
bool hasSoundConvolutions();

}  // namespace engine
