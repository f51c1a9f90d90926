function envoy_on_request(request)
  if request:headers():get("x-amz-date") == nil then
    request:headers():remove("authorization")
  end
end
