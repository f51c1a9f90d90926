{{- define "lambdamesh.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "lambdamesh.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "lambdamesh.labels" -}}
{{ include "lambdamesh.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "lambdamesh.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "lambdamesh.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* The flags of `lambdamesh serve`; those of .Values.config go before. */ -}}
{{- define "lambdamesh.config" -}}
{{- $config := dict
  "consul-http-addr" .Values.consul.httpAddr
  "consul-grpc-addr" .Values.consul.grpcAddr
  "xds-addr" (printf ":%d" (int .Values.xds.port))
  "drain-timeout" (printf "%ds" (int .Values.xds.drainSeconds))
  "probe-addr" ":8514"
  "log-format" "json" -}}
{{- with .Values.consul.caSecret.name }}{{ $_ := set $config "consul-grpc-ca-file" "/etc/lambdamesh/consul-ca/ca.pem" }}{{ end -}}
{{- with .Values.consul.serverName }}{{ $_ := set $config "consul-grpc-server-name" . }}{{ end -}}
{{- with .Values.consul.tokenSecret.name }}{{ $_ := set $config "consul-token-file" "/etc/lambdamesh/consul-token/token" }}{{ end -}}
{{- with .Values.xds.tlsSecret }}{{ $_ := set $config "xds-cert-file" "/etc/lambdamesh/xds/tls.crt" }}{{ $_ := set $config "xds-key-file" "/etc/lambdamesh/xds/tls.key" }}{{ end -}}
{{- with .Values.xds.clientCASecret }}{{ $_ := set $config "xds-client-ca-file" "/etc/lambdamesh/xds-clients/ca.crt" }}{{ end -}}
{{- if .Values.xds.insecure }}{{ $_ := set $config "xds-insecure" true }}{{ end -}}
{{- if .Values.registrator.enabled }}{{ $_ := set $config "registrator" true }}{{ $_ := set $config "regions" .Values.registrator.regions }}{{ end -}}
{{- if .Values.metrics.enabled -}}
{{- $_ := set $config "admin-addr" (printf ":%d" (int .Values.metrics.port)) -}}
{{- $_ := set $config "admin-cert-file" "/etc/lambdamesh/admin/tls.crt" -}}
{{- $_ := set $config "admin-key-file" "/etc/lambdamesh/admin/tls.key" -}}
{{- $_ := set $config "admin-token-file" "/etc/lambdamesh/admin-token/token" -}}
{{- end -}}
{{- toYaml (mergeOverwrite $config .Values.config) -}}
{{- end -}}
