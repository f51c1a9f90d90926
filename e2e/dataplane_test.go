package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/proto-public/pbacl"
	"github.com/hashicorp/consul/proto-public/pbdataplane"
	"github.com/hashicorp/consul/proto-public/pbdns"
	"github.com/hashicorp/consul/proto-public/pbserverdiscovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestDataplane replays what an unmodified consul-dataplane does with lambdamesh as its
// Consul server: login, features, bootstrap parameters, then an Envoy with what came of
// them; with and without its server watch; and again after lambdamesh was restarted.
// lambdamesh has an address of its own here, so that it shows where a client is led.
func TestDataplane(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true, NoLambdamesh: true})
	var port int
	s.must(s.Ports().Fill(&port))
	const ip = "127.0.0.3"
	addr := net.JoinHostPort(ip, strconv.Itoa(port))
	up := s.record(s.Consul.GRPCAddr()) // lambdamesh as a client of Consul's
	mesh, err := s.NewLambdamesh(s.ctx, "lambdamesh", "--xds-addr", addr, "--consul-grpc-addr", up.Addr())
	s.must(err)
	t.Cleanup(func() {
		if err := mesh.Stop(); err != nil {
			t.Error(err)
		}
	})
	arn := s.function("hello", "hello", nil)
	s.byHand("hello", meta(arn))
	s.allow("web", "hello")
	login := s.authMethod("web")
	web, err := s.Mesh.AddSidecar(s.ctx, "web", []string{"hello"}, testmesh.ProxyOptions{NoEnvoy: true})
	s.must(err)

	for _, watching := range []bool{false, true} {
		s.run("watching="+strconv.FormatBool(watching), func(t *testing.T) {
			d := s.dataplane(addr)
			d.login(login)
			d.features()
			if watching {
				if got := d.watch(); len(got) != 1 || got[0] != ip {
					t.Fatalf("the servers are %v, want lambdamesh alone", got)
				}
			}
			params := d.bootstrapParams(web.ProxyID)
			wire := s.record(addr)
			envoy := d.envoy(web, params, wire.Addr(), "envoy-web-"+strconv.FormatBool(watching))
			s.until(web, "hello", arn)

			s.must(mesh.Stop())
			if watching {
				if err := d.watchEnds(); status.Code(err) != codes.Unavailable {
					t.Errorf("at the end of lambdamesh the watch ends with %v", err)
				}
			}
			s.must(mesh.Start(s.ctx))
			again := d
			if watching {
				// It dials what it was told, with the port that it was given.
				again = s.dataplane(net.JoinHostPort(d.known[0], strconv.Itoa(port)))
				again.token = d.token
				if got := again.watch(); len(got) != 1 || got[0] != ip {
					t.Errorf("after the restart the servers are %v", got)
				}
			}
			again.features()
			again.bootstrapParams(web.ProxyID)
			other := s.function("other-"+strconv.FormatBool(watching), "hello", nil)
			s.must(s.Consul.SetEntry(s.ctx, testmesh.LambdaDefaults("hello", meta(other))))
			s.until(web, "hello", other)
			arn = other
			if rejected, err := envoy.Rejected(s.ctx); err != nil || rejected != 0 {
				t.Errorf("Envoy refused %d (%v)", rejected, err)
			}
			s.must(envoy.Stop())
			again.logout()
		})
	}
	s.run("nothing else differs from Consul", func(*testing.T) { s.asConsul(addr, web) })
	for _, c := range up.Conversations() {
		if got := c.MetadataKeys(); !slices.Contains(got, "x-consul-token") {
			t.Errorf("a stream went to Consul with %v", got)
		}
	}
}

// dataplane is what consul-dataplane is to its Consul server: a client with a token.
type dataplane struct {
	*story
	conn    *grpc.ClientConn
	token   string
	servers grpc.ServerStreamingClient[pbserverdiscovery.WatchServersResponse]
	known   []string // addresses that the watch told last
}

func (s *story) dataplane(addr string) *dataplane {
	s.t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	s.must(err)
	s.t.Cleanup(func() { _ = conn.Close() })
	return &dataplane{story: s, conn: conn}
}

// with is a context that carries the token, as each call of consul-dataplane does.
func (d *dataplane) with() context.Context {
	if d.token == "" {
		return d.ctx
	}
	return metadata.AppendToOutgoingContext(d.ctx, "x-consul-token", d.token)
}

func (d *dataplane) login(req *pbacl.LoginRequest) {
	d.t.Helper()
	resp, err := pbacl.NewACLServiceClient(d.conn).Login(d.with(), req)
	d.must(err)
	d.token = resp.GetToken().GetSecretId()
	d.secrets = append(d.secrets, d.token, req.GetBearerToken())
}

// logout ends the token, which then is none to Consul.
func (d *dataplane) logout() {
	d.t.Helper()
	_, err := pbacl.NewACLServiceClient(d.conn).Logout(d.with(), &pbacl.LogoutRequest{Token: d.token})
	d.must(err)
	_, err = pbdataplane.NewDataplaneServiceClient(d.conn).GetSupportedDataplaneFeatures(d.with(), &pbdataplane.GetSupportedDataplaneFeaturesRequest{})
	if status.Code(err) != codes.Unauthenticated {
		d.t.Errorf("with a token that has logged out: %v", err)
	}
}

func (d *dataplane) features() {
	d.t.Helper()
	resp, err := pbdataplane.NewDataplaneServiceClient(d.conn).GetSupportedDataplaneFeatures(d.with(), &pbdataplane.GetSupportedDataplaneFeaturesRequest{})
	d.must(err)
	for _, f := range resp.GetSupportedDataplaneFeatures() {
		if f.GetFeatureName() == pbdataplane.DataplaneFeatures_DATAPLANE_FEATURES_WATCH_SERVERS && f.GetSupported() {
			return
		}
	}
	d.t.Errorf("Consul's features are %v", resp)
}

// watch opens the server watch and returns what it tells first.
func (d *dataplane) watch() []string {
	d.t.Helper()
	var err error
	d.servers, err = pbserverdiscovery.NewServerDiscoveryServiceClient(d.conn).WatchServers(d.with(), &pbserverdiscovery.WatchServersRequest{})
	d.must(err)
	list, err := d.servers.Recv()
	d.must(err)
	d.known = nil
	for _, server := range list.GetServers() {
		if server.GetId() == "" || server.GetVersion() != "1.22.5" {
			d.t.Errorf("a server is %v", server)
		}
		d.known = append(d.known, server.GetAddress())
	}
	return d.known
}

// watchEnds is how the server watch ends, whatever it tells until then.
func (d *dataplane) watchEnds() error {
	for {
		if _, err := d.servers.Recv(); err != nil {
			return err
		}
	}
}

func (d *dataplane) bootstrapParams(proxyID string) *pbdataplane.GetEnvoyBootstrapParamsResponse {
	d.t.Helper()
	resp, err := pbdataplane.NewDataplaneServiceClient(d.conn).GetEnvoyBootstrapParams(d.with(), &pbdataplane.GetEnvoyBootstrapParamsRequest{
		NodeSpec: &pbdataplane.GetEnvoyBootstrapParamsRequest_NodeName{NodeName: d.Consul.NodeName()}, ProxyId: proxyID,
	})
	d.must(err)
	return resp
}

// envoy starts an Envoy with a bootstrap of these parameters. Its stream carries the
// token, which consul-dataplane adds on the way.
func (d *dataplane) envoy(c *testmesh.Sidecar, params *pbdataplane.GetEnvoyBootstrapParamsResponse, xds, name string) *testmesh.Envoy {
	d.t.Helper()
	var admin int
	d.must(d.Ports().Fill(&admin))
	host, port, err := net.SplitHostPort(xds)
	d.must(err)
	address := func(host string, port any) object {
		return object{"socket_address": object{"address": host, "port_value": port}}
	}
	ads := object{"ads": object{}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
	bootstrap, err := json.Marshal(object{
		"admin": object{"address": address("127.0.0.1", admin)},
		"node": object{
			"id": c.ProxyID, "cluster": params.GetIdentity(),
			"metadata": object{"node_name": params.GetNodeName(), "namespace": params.GetNamespace(), "partition": params.GetPartition()},
		},
		"static_resources": object{"clusters": []object{{
			"name": "consul-dataplane", "type": "STATIC", "connect_timeout": "1s",
			"typed_extension_protocol_options": object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": object{
				"@type":                "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
				"explicit_http_config": object{"http2_protocol_options": object{}},
			}},
			"load_assignment": object{"cluster_name": "consul-dataplane", "endpoints": []object{{"lb_endpoints": []object{
				{"endpoint": object{"address": address(host, json.Number(port))}},
			}}}},
		}}},
		"dynamic_resources": object{
			"lds_config": ads, "cds_config": ads,
			"ads_config": object{
				"api_type": "DELTA_GRPC", "transport_api_version": "V3",
				"grpc_services": object{
					"initial_metadata": []object{{"key": "x-consul-token", "value": d.token}},
					"envoy_grpc":       object{"cluster_name": "consul-dataplane"},
				},
			},
		},
	})
	d.must(err)
	credentials := d.AWS.Credentials()
	e := testmesh.TestEnvoy(d.t, testmesh.EnvoyConfig{
		Dir: d.Dir(), Name: name, Bootstrap: bootstrap, AdminPort: admin, Credentials: &credentials,
	})
	d.must(e.WaitReady(d.ctx))
	return e
}

// object is one of JSON.
type object map[string]any

// asConsul makes the same calls to Consul and through lambdamesh: answers and refusals
// are the same.
func (s *story) asConsul(addr string, c *testmesh.Sidecar) {
	direct, through := s.dataplane(s.Consul.GRPCAddr()), s.dataplane(addr)
	params := func(id string) proto.Message {
		return &pbdataplane.GetEnvoyBootstrapParamsRequest{
			NodeSpec: &pbdataplane.GetEnvoyBootstrapParamsRequest_NodeName{NodeName: s.Consul.NodeName()}, ProxyId: id,
		}
	}
	const wrong = "00000000-aaaa-bbbb-cccc-000000000000"
	for _, call := range []struct {
		method, token string
		in, out       proto.Message
	}{
		{pbdataplane.DataplaneService_GetSupportedDataplaneFeatures_FullMethodName, c.Token.SecretID, &pbdataplane.GetSupportedDataplaneFeaturesRequest{}, &pbdataplane.GetSupportedDataplaneFeaturesResponse{}},
		{pbdataplane.DataplaneService_GetSupportedDataplaneFeatures_FullMethodName, wrong, &pbdataplane.GetSupportedDataplaneFeaturesRequest{}, &pbdataplane.GetSupportedDataplaneFeaturesResponse{}},
		{pbdataplane.DataplaneService_GetEnvoyBootstrapParams_FullMethodName, c.Token.SecretID, params(c.ProxyID), &pbdataplane.GetEnvoyBootstrapParamsResponse{}},
		{pbdataplane.DataplaneService_GetEnvoyBootstrapParams_FullMethodName, c.Token.SecretID, params("nobody"), &pbdataplane.GetEnvoyBootstrapParamsResponse{}},
		{pbdataplane.DataplaneService_GetEnvoyBootstrapParams_FullMethodName, wrong, params(c.ProxyID), &pbdataplane.GetEnvoyBootstrapParamsResponse{}},
		{pbdataplane.DataplaneService_GetEnvoyBootstrapParams_FullMethodName, "", params(c.ProxyID), &pbdataplane.GetEnvoyBootstrapParamsResponse{}},
		{pbacl.ACLService_Login_FullMethodName, "", &pbacl.LoginRequest{AuthMethod: "none"}, &pbacl.LoginResponse{}},
		{pbserverdiscovery.ServerDiscoveryService_WatchServers_FullMethodName, wrong, &pbserverdiscovery.WatchServersRequest{}, &pbserverdiscovery.WatchServersResponse{}},
		{pbdns.DNSService_Query_FullMethodName, "", &pbdns.QueryRequest{Msg: []byte("no DNS message")}, &pbdns.QueryResponse{}},
		{"/hashicorp.consul.dataplane.DataplaneService/Later", c.Token.SecretID, params(c.ProxyID), params("")},
		{"/hashicorp.consul.later.LaterService/Method", c.Token.SecretID, params(c.ProxyID), params("")},
		{"/somebody.elses.Service/Method", "", params(""), params("")},
	} {
		var answers [2]proto.Message
		var ends [2]*status.Status
		for i, d := range []*dataplane{direct, through} {
			d.token = call.token
			answers[i] = proto.Clone(call.out)
			ends[i] = status.Convert(d.conn.Invoke(d.with(), call.method, call.in, answers[i]))
		}
		if diff := cmp.Diff(ends[0].Proto(), ends[1].Proto(), protocmp.Transform()); diff != "" {
			s.t.Errorf("%s: status (-consul +lambdamesh):\n%s", call.method, diff)
		}
		if diff := cmp.Diff(answers[0], answers[1], protocmp.Transform()); diff != "" {
			s.t.Errorf("%s: answer (-consul +lambdamesh):\n%s", call.method, diff)
		}
		s.t.Logf("%s: %s %s", call.method, ends[1].Code(), ends[1].Message())
	}
}

// authMethod lets the bearer of a JWT have the identity of a service, and returns what
// such a one logs in with.
func (s *story) authMethod(service string) *pbacl.LoginRequest {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	s.must(err)
	acl, w := s.Consul.API().ACL(), (&api.WriteOptions{}).WithContext(s.ctx)
	_, _, err = acl.AuthMethodCreate(&api.ACLAuthMethod{
		Name: "jwt", Type: "jwt",
		Config: object{
			"JWTValidationPubKeys": []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))},
			"JWTSupportedAlgs":     []string{"ES256"},
			"BoundAudiences":       []string{"mesh"},
			"ClaimMappings":        map[string]string{"sub": "name"},
		},
	}, w)
	s.must(err)
	_, _, err = acl.BindingRuleCreate(&api.ACLBindingRule{AuthMethod: "jwt", BindType: api.BindingRuleBindTypeService, BindName: "${value.name}"}, w)
	s.must(err)

	encode := base64.RawURLEncoding.EncodeToString
	now := time.Now()
	claims, err := json.Marshal(object{"aud": "mesh", "sub": service, "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix()})
	s.must(err)
	signed := encode([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + encode(claims)
	digest := sha256.Sum256([]byte(signed))
	r, v, err := ecdsa.Sign(rand.Reader, key, digest[:])
	s.must(err)
	signature := append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...)
	return &pbacl.LoginRequest{AuthMethod: "jwt", BearerToken: strings.Join([]string{signed, encode(signature)}, ".")}
}
