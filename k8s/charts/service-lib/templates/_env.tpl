{{/*
The environment of a process: (dict "root" $ "component" "web"). Plain values stand in the pod itself, so that a change of
them rolls the pods; secrets are named, never rendered.
*/}}
{{- define "service-lib.env" -}}
{{- $root := .root }}
{{- $values := $root.Values }}
{{- $plain := dict
  "ENVIRONMENT" $values.global.environment
  "SERVICE_VERSION" (include "service-lib.version" $root)
  "PUBLIC_BASE_URL" $values.global.publicBaseUrl
  "STOREFRONT_URL" $values.global.storefrontUrl
  "SHOP_CURRENCY" $values.global.currency
  "LOG_LEVEL" $values.global.logLevel
  "JWT_ISSUER" $values.global.jwt.issuer
  "JWT_AUDIENCE" $values.global.jwt.audience
  "DATABASE_APPLICATION_NAME" (printf "%s-%s" $root.Chart.Name .component) }}
{{- $plain = merge $plain (include "service-lib.serviceUrls" $root | fromYaml) }}
{{- if eq .component "web" }}
{{- $plain = merge $plain (dict "HOST" "0.0.0.0" "PORT" "8000") }}
{{- else if eq .component "events" }}
{{- $plain = merge $plain (dict "HOST" "0.0.0.0" "EVENTS_HEALTH_PORT" "8001") }}
{{- else if eq .component "worker" }}
{{- $plain = merge $plain (dict "EMBEDDED_BEAT" "false" "HOST" "0.0.0.0" "WORKER_HEALTH_PORT" "8002") }}
{{- end }}
{{- range $name, $_ := $values.secrets.files }}
{{- $_ := set $plain $name (printf "/run/secrets/shop/%s" $name) }}
{{- end }}
{{- range $name, $_ := $values.publicKeys }}
{{- $_ := set $plain $name (printf "/run/keys/%s" $name) }}
{{- end }}
{{- with $values.media }}
{{- $plain = merge $plain (include "service-lib.mediaEnv" . | fromYaml) }}
{{- end }}
{{- range $settings := list $values.settings (index $values .component).settings }}
{{- range $name, $value := $settings }}
{{- $_ := set $plain $name $value }}
{{- end }}
{{- end }}
{{- range $name, $value := $plain }}
- name: {{ $name }}
  value: {{ include "service-lib.text" $value | quote }}
{{- end }}
{{- range $name, $reference := $values.secrets.env }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $reference.name | default $values.existingSecret | default $root.Chart.Name }}
      key: {{ $reference.key | default $name }}
{{- end }}
{{- if $values.media }}
{{- if and (eq $values.media.storage "s3") $values.media.s3.existingSecret }}
{{- range $name := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $values.media.s3.existingSecret }}
      key: {{ $name }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
