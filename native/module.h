// What the addon exports, one function a file.
#pragma once
#include <node_api.h>

namespace engine {

void define(napi_env env, napi_value exports, const char* name, napi_callback callback);

void defineOperators(napi_env env, napi_value exports);
void defineTensors(napi_env env, napi_value exports);
void defineData(napi_env env, napi_value exports);
void defineAsync(napi_env env, napi_value exports);
void defineAutograd(napi_env env, napi_value exports);
void defineDevices(napi_env env, napi_value exports);
void defineSettings(napi_env env, napi_value exports);

}  // namespace engine
