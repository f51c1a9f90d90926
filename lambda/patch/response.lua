function envoy_on_response(response)
  if response:headers():get("x-amz-function-error") == nil then
    return
  end
  local status = "502"
  local length = response:headers():get("content-length")
  if length ~= nil and tonumber(length) > 0 and tonumber(length) <= 4096 then
    local body = response:body()
    if string.find(body:getBytes(0, body:length()), "Task timed out after [%d.]+ seconds") then
      status = "504"
    end
  end
  response:headers():replace(":status", status)
end
